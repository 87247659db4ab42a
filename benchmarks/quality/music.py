"""Synthesised music: chords and melodies of plucked strings and reed-like tones in random keys."""

import numpy as np

RATE = 22050  # samples a second


def _pluck(frequency: float, length: int, generator: np.random.Generator) -> np.ndarray:
    """Karplus and Strong's plucked string (1983): noise that runs in a damped loop."""
    from scipy.signal import lfilter

    period = max(int(RATE / frequency), 2)
    burst = np.zeros(length)
    burst[:period] = generator.uniform(-1, 1, min(period, length))
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1.0, -0.498, -0.498
    return lfilter([1.0], loop, burst)


def _reed(frequency: float, length: int, generator: np.random.Generator) -> np.ndarray:
    """Eight harmonics that fall off, with vibrato, attack and release."""
    time = np.arange(length) / RATE
    phase = frequency * (time + 0.003 * np.sin(2 * np.pi * 5 * time) / (2 * np.pi * 5))
    slope = generator.uniform(0.8, 1.6)
    tone = sum(np.sin(2 * np.pi * k * phase) / k**slope for k in range(1, 9))
    envelope = np.minimum(np.minimum(time / 0.03, 1), np.maximum((time[-1] - time) / 0.08, 0))
    return 0.3 * tone * np.minimum(envelope, 1)


def clips(count: int, length: int, seed: int) -> np.ndarray:
    """float32 [count, length] in [-1, 1]: bass, chords and a melody of the key's scale in each."""
    generator = np.random.default_rng(seed)
    made = np.zeros((count, length))
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    for clip in made:
        root = generator.integers(36, 60)
        voice = _pluck if generator.random() < 0.6 else _reed
        beat = int(RATE * generator.uniform(0.2, 0.5))
        for start in range(0, length, beat):
            degree = generator.integers(7)
            notes = [root + scale[degree] - 12] if generator.random() < 0.5 else []
            if generator.random() < 0.6:
                notes += [root + 12 + scale[(degree + step) % 7] for step in (0, 2, 4)]
            notes.append(root + 24 + scale[generator.integers(7)])
            held = min(length - start, int(beat * generator.uniform(0.8, 2)))
            for note in notes:
                tone = voice(440 * 2 ** ((note - 69) / 12), held, generator)
                clip[start : start + held] += generator.uniform(0.3, 1) * tone
        clip *= generator.uniform(0.2, 0.95) / max(np.abs(clip).max(), 1e-9)
    return made.astype(np.float32)
