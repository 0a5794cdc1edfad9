"""Mails: handed to an SMTP server or left in a folder for a developer."""
