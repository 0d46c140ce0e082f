/* Held to 16 bits. */
static inline int32_t held(int32_t x) {
#ifdef MODEL_DSP
    return __ssat(x, 16);
#else
    return x < -32768 ? -32768 : x > 32767 ? 32767 : x;
#endif
}
