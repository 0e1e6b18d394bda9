"""Commands about archives: made, imported, checked, de-identified."""
