/* Two int8 weights ride in one int16, low + 256 * high: those of an even and of the next channel on the same input. Maps have
   so few bits that 32 hold a sum of the whole, modulo 2^32: both channels' sums are below 2^23, and high = (whole - low) / 256.
   Weights of four channels lie together: for each pair of inputs (k, k + 1) the channels 0 and 1 on k, on k + 1, then 2 and 3. */
#ifdef MODEL_DSP
#define STEP(i)                                                           \
    do {                                                                  \
        const word value = a[i], even = w[2 * (i)], odd = w[2 * (i) + 1]; \
        whole0 = __smlad(even, value, whole0);                            \
        whole2 = __smlad(odd, value, whole2);                             \
        low0 = __smlad(__sxtb16(even), value, low0);                      \
        low2 = __smlad(__sxtb16(odd), value, low2);                       \
    } while (0)
#endif

static inline four dot4_map(const int16_t *x, const int16_t *weight, int32_t pairs) {
    int32_t low0 = 0, low2 = 0, whole0 = 0, whole2 = 0;
#ifdef MODEL_DSP
    const word *a = (const word *)x, *w = (const word *)weight, *end = a + (pairs & ~3);
    for (; a != end; a += 4, w += 8) {
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
    }
    for (end += pairs & 3; a != end; a++, w += 2) STEP(0);
#undef STEP
#else
    for (int32_t i = 0; i < pairs; i++, x += 2, weight += 4) {
        whole0 = (int32_t)((uint32_t)whole0 + (uint32_t)(x[0] * weight[0]) + (uint32_t)(x[1] * weight[1]));
        whole2 = (int32_t)((uint32_t)whole2 + (uint32_t)(x[0] * weight[2]) + (uint32_t)(x[1] * weight[3]));
        low0 += x[0] * (int8_t)weight[0] + x[1] * (int8_t)weight[1];
        low2 += x[0] * (int8_t)weight[2] + x[1] * (int8_t)weight[3];
    }
#endif
    const four sums = {
        low0,
        (int32_t)((uint32_t)whole0 - (uint32_t)low0) >> 8,
        low2,
        (int32_t)((uint32_t)whole2 - (uint32_t)low2) >> 8,
    };
    return sums;
}
