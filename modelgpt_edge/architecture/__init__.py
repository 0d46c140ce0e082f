"""Model Generator: picks the template and its sizes under the device's budget."""
