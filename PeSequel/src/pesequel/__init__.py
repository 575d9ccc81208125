"""PeSequel: the inventory and its API, as SQL migrations, and the command that runs them.

The database is the program: `PeSequel/migrations` holds tables, rules, views and functions. This
package only brings them into a server, in both modes of the platform.
"""
