"""Long, violent use of real servers, checked for what was lost, doubled or left behind. ``make soak`` runs it."""
