"""Programs that a partner's developer can copy; they need aiokafka, httpx and `contracts` only."""
