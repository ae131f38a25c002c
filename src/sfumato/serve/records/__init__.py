"""What the service stores: enrollments, rules, decisions, accounts."""
