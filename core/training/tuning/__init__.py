"""Fine-tuning from a form: three tasks, three methods, one exact and resumable run."""
