"""Label Studio as the place where people review: client, projects, webhooks, queue."""
