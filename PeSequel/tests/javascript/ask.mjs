// Asks the data API as a program with the official client would, and prints every answer as JSON.
// Standard input: {"url": …, "token": …, "auditor": …, "guest": …, "name": …, "serial": …}.
import { readFileSync } from "node:fs";
import { PostgrestClient } from "@supabase/postgrest-js";

const told = JSON.parse(readFileSync(0, "utf-8"));

function client(token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return new PostgrestClient(told.url, { schema: "api", headers });
}

const auditor = client(told.token);
const soon = new Date(Date.now() + 10 * 24 * 3600 * 1000).toISOString();
const questions = {
  contract: auditor
    .from("certificates")
    .select("serial_number, subject, names, not_after, status")
    .eq("serial_number", told.serial)
    .single(),
  filtered: auditor
    .from("certificates")
    .select("subject", { count: "exact" })
    .lt("not_after", soon)
    .order("not_after", { ascending: true }),
  page: auditor
    .from("certificates")
    .select("subject", { count: "exact" })
    .order("subject")
    .range(1, 2),
  counted: auditor.from("certificates").select("*", { count: "exact", head: true }),
  embedded: auditor
    .from("certificates")
    .select("subject, authorities(name)")
    .eq("serial_number", told.serial)
    .single(),
  csv: auditor.from("daily_counts").select("day,issued,revoked").csv(),
  searched: auditor.rpc("search_by_name", { name: "WWW.exam" }),
  searched_by_get: auditor.rpc("search_by_name", { name: "www.EXAM" }, { get: true }),
  guest: client(told.guest).from("certificates").select("subject").order("subject"),
  nobody: client("").from("certificates").select("*"),
  forged: client(told.forged).from("certificates").select("*"),
  expired: client(told.expired).from("certificates").select("*"),
  written: auditor.from("certificates").insert({ subject: "CN=x" }),
  unknown_view: auditor.from("secrets").select("*"),
  unknown_column: auditor.from("certificates").select("private_key"),
  bad_filter: auditor.from("certificates").select("*").filter("not_after", "lt", "yesterday-ish"),
};
const answers = {};
for (const [name, question] of Object.entries(questions)) {
  const { data, error, status, count } = await question;
  answers[name] = { data, error, status, count };
}
process.stdout.write(JSON.stringify(answers));
