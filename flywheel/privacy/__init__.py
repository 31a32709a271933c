"""Personal data in texts: `recognizers` find them, `Masking` puts placeholders in their place."""
