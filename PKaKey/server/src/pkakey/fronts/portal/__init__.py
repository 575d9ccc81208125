"""The portal: sign-in, the signed-in screens, and the public pages."""
