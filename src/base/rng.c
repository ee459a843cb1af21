/* Random numbers: xoshiro256++ seeded by splitmix64.
 * source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021. */
#include <math.h>

#include "recsysd/base.h"

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

void rec_rng_init(struct rec_rng *rng, uint64_t seed, uint64_t stream) {
    /* The stream is mixed before it meets the seed: seed 1 stream 2 is not seed 2 stream 1. */
    uint64_t state = stream;
    state = splitmix(&state) ^ seed;
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix(&state);
}

uint64_t rec_rng_u64(struct rec_rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* source: Lemire, "Fast random integer generation in an interval", 2019. */
uint32_t rec_rng_below(struct rec_rng *rng, uint32_t bound) {
    uint64_t product = (rec_rng_u64(rng) >> 32) * bound;
    if ((uint32_t)product < bound) {
        uint32_t biased = (uint32_t)(-bound) % bound;
        while ((uint32_t)product < biased)
            product = (rec_rng_u64(rng) >> 32) * bound;
    }
    return (uint32_t)(product >> 32);
}

float rec_rng_uniform(struct rec_rng *rng) {
    return (float)(rec_rng_u64(rng) >> 40) * 0x1p-24f;
}

/* Box and Muller; one of the pair is thrown away, so that no state is kept. */
float rec_rng_normal(struct rec_rng *rng) {
    const double two_pi = 6.283185307179586;
    double u = ((double)(rec_rng_u64(rng) >> 11) + 1.0) * 0x1p-53; /* (0, 1] */
    double v = (double)(rec_rng_u64(rng) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(two_pi * v));
}
