/* Two int8 weights ride in one int16, low + 256 * high: those of an even and of the next output on the same input.
   A sum of the whole (64 bits) and one of the low bytes (32 bits) hold both outputs: high = (whole - low) / 256, exactly.
   Weights of four outputs lie together: for each pair of inputs (k, k + 1) the outputs 0 and 1 on k, on k + 1, then 2 and 3. */
#ifdef MODEL_DSP
#define STEP(i)                                                     \
    do {                                                            \
        const word value = a[i], even = w[2 * (i)], odd = w[2 * (i) + 1]; \
        whole0 = __smlald(even, value, whole0);                     \
        whole2 = __smlald(odd, value, whole2);                      \
        low0 = __smlad(__sxtb16(even), value, low0);                \
        low2 = __smlad(__sxtb16(odd), value, low2);                 \
    } while (0)
#endif

static inline four dot4(const int16_t *x, const int16_t *weight, int32_t pairs) {
    int32_t low0 = 0, low2 = 0;
    int64_t whole0 = 0, whole2 = 0;
#ifdef MODEL_DSP
    const word *a = (const word *)x, *w = (const word *)weight;
    for (const word *end = a + (pairs & ~1); a != end; a += 2, w += 4) {
        STEP(0);
        STEP(1);
    }
    if (pairs & 1) STEP(0);
#undef STEP
#else
    for (int32_t i = 0; i < pairs; i++, x += 2, weight += 4) {
        whole0 += (int64_t)x[0] * weight[0] + (int64_t)x[1] * weight[1];
        whole2 += (int64_t)x[0] * weight[2] + (int64_t)x[1] * weight[3];
        low0 += x[0] * (int8_t)weight[0] + x[1] * (int8_t)weight[1];
        low2 += x[0] * (int8_t)weight[2] + x[1] * (int8_t)weight[3];
    }
#endif
    const four sums = {low0, (int32_t)((whole0 - low0) >> 8), low2, (int32_t)((whole2 - low2) >> 8)};
    return sums;
}
