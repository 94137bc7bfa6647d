"""Numbers from a counter: the same here, on a device and in kernels/tests (bench.cpp, meanings.cpp)."""

import torch

FIRST, SECOND, THIRD = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
# Ends of ranges, and halves between two bf16.
SPECIAL = (0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000, 0xFF800000,
           0x7FC00000, 0x7F800001, 0x3F808000, 0x3F818000, 0x7F7F8000, 0x00008000, 0x3F800000, 0xBF800000)


def signed(value):
    """The same 64 bits as torch has them."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def down(values, count):
    """A shift that brings zeros in."""
    return (values >> count) & ((1 << (64 - count)) - 1)


def mixed(seed, count):
    values = torch.arange(count, dtype=torch.int64) + signed(seed * FIRST)
    values = (values ^ down(values, 30)) * signed(SECOND)
    values = (values ^ down(values, 27)) * signed(THIRD)
    return values ^ down(values, 31)


def bits(seed, count):
    """32 random bits each, in 64."""
    return down(mixed(seed, count), 32)


def words(values):
    """The low 32 bits of each, as an int32 tensor."""
    values = values & 0xFFFFFFFF
    return torch.where(values >= 1 << 31, values - (1 << 32), values).to(torch.int32)


def uniform(seed, count):
    """f32 from -1 to 1."""
    return (down(mixed(seed, count), 40).double() / (1 << 23) - 1.0).float()


def raw(seed, count):
    """Any f32, as words."""
    values = bits(seed, count)
    special = torch.tensor(SPECIAL, dtype=torch.int64).repeat(count // 256 + 1)[: len(values[::16])]
    values[::16] = special
    return words(values)


def span(seed, count, scale):
    """f32 from -scale to scale."""
    return (scale * uniform(seed, count)).view(torch.int32)


def normal(seed, count):
    """Normal f32 of either sign."""
    values = bits(seed, count)
    return words((values & 0x807FFFFF) | (1 + (values >> 23 & 0xFF) % 254) << 23)


def wide_halves(values, width):
    """bf16 between 2^-width and 2^(width + 1)."""
    return (values & 0x807F) | (127 - width + (values >> 16) % (2 * width + 1)) << 7


def paired(values):
    return words(values[0::2] | values[1::2] << 16)


def wide(seed, count, width):
    """Pairs of such bf16."""
    return paired(wide_halves(bits(seed, 2 * count), width))


def whole_singles(seed, count):
    """f32 that are whole numbers from -8 to 8."""
    return (bits(seed, count) % 17 - 8).float().view(torch.int32)


def whole_pairs(seed, count):
    """Pairs of bf16 that are."""
    return paired((whole_singles(seed, 2 * count).to(torch.int64) & 0xFFFFFFFF) >> 16)
