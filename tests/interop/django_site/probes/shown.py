"""Events as JSON and back: bytes are shown as {"__bytes_hex__": "00ff"}."""

HEX = "__bytes_hex__"


def shown(value):
    """The value with every bytes as an object with its hexadecimal digits."""
    if isinstance(value, bytes):
        return {HEX: value.hex()}
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value


def meant(value):
    """The reverse of shown()."""
    if isinstance(value, dict):
        if set(value) == {HEX}:
            return bytes.fromhex(value[HEX])
        return {key: meant(item) for key, item in value.items()}
    if isinstance(value, list):
        return [meant(item) for item in value]
    return value
