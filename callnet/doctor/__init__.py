"""What ``callnet doctor`` looks at: settings, machine, and the services that the daemon needs. All of it blocks."""
