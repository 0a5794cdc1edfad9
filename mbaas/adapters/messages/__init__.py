"""What is written to people: kinds of messages, their templates in every language, composing and sending them."""
