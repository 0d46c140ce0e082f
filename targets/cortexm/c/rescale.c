/* sum * multiplier / 2^16 + bias. */
static inline int32_t rescale(int32_t sum, int16_t multiplier, int32_t bias) {
#ifdef MODEL_DSP
    return __smlawb(sum, multiplier, bias);
#else
    return (int32_t)(((int64_t)sum * multiplier) >> 16) + bias;
#endif
}
