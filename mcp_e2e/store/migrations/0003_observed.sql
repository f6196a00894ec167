-- What was last seen of a thing that changes without a call: whoever sees it changed first tells it as an event.
CREATE TABLE observed (
    subject TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT;
