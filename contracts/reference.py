"""The short reference of a case that people read out on the phone."""

from uuid import UUID

# Without 0, O, 1, I and L, which are misheard and misread.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


def case_reference(case_id: UUID) -> str:
    """Eight letters and digits made of the case id's random tail: shown, never used as a key."""
    number = case_id.int & ((1 << 62) - 1)
    letters = []
    for _ in range(8):
        number, index = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[index])
    return f"MP-{''.join(letters[:4])}-{''.join(letters[4:])}"
