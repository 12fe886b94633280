"""zstd: from the standard library since Python 3.14, otherwise from its backport."""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError as ZstdError
    from compression.zstd import ZstdFile as ZstdFile
    from compression.zstd import compress as compress
    from compression.zstd import decompress as decompress
else:
    from backports.zstd import ZstdError as ZstdError
    from backports.zstd import ZstdFile as ZstdFile
    from backports.zstd import compress as compress
    from backports.zstd import decompress as decompress
