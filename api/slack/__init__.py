"""What comes from Slack: clicks and typed commands, over HTTP and over Socket Mode."""
