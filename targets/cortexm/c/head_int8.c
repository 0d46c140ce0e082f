/* Weighted sum of int16 values and int16 weights. */
static int64_t dot(const int16_t *x, const int16_t *weight, int32_t pairs) {
    int64_t sum = 0;
#ifdef MODEL_DSP
    const word *a = (const word *)x, *w = (const word *)weight;
    if (pairs & 1) sum = __smlald(*a++, *w++, sum);
    for (const word *end = a + (pairs & ~1); a != end; a += 2, w += 2) {
        sum = __smlald(a[0], w[0], sum);
        sum = __smlald(a[1], w[1], sum);
    }
#else
    for (int32_t i = 0; i < 2 * pairs; i++) sum += (int64_t)x[i] * weight[i];
#endif
    return sum;
}
