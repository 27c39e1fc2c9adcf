"""Who is it: tokens and their SCRAM verifiers, throttling of failed logins."""
