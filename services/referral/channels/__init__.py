"""How events reach partners that do not poll: signed webhooks and notices by e-mail."""
