"""What a lone API server must do itself, because no controller manager runs beside it."""
