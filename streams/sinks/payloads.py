from streams.payloads import *  # noqa
from streams.payloads import _DECODER, _ENCODER  # noqa
