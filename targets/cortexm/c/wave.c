/* sin(angle) for any finite angle: the angle in turns, modulo one, from as many bits of 1 / (2 pi) as its exponent asks for. */
static float sine(float angle) {
    static const uint32_t inverse[6] = {0x28BE60DBu, 0x9391054Au, 0x7F09D5F4u, 0x7D4D3770u, 0x36D8A566u, 0x4F10E410u};
    union {
        float value;
        uint32_t bits;
    } number;
    number.value = angle;
    const uint32_t mantissa = (number.bits & 0x7FFFFFu) | 0x800000u;
    const int32_t exponent = (int32_t)(number.bits >> 23 & 0xFFu) - 150; /* |angle| = mantissa * 2^exponent */
    uint64_t fraction = 0;                                               /* of 2^exponent / (2 pi), in 2^-64 */
    if (exponent >= 0) {
        const uint32_t *at = inverse + (exponent >> 5);
        const int32_t shift = exponent & 31;
        fraction = (((uint64_t)at[0] << 32 | at[1]) << shift) | ((uint64_t)at[2] << shift >> 32);
    } else if (exponent > -64) {
        fraction = ((uint64_t)inverse[0] << 32 | inverse[1]) >> -exponent;
    }
    uint32_t turns = (uint32_t)((fraction * mantissa) >> 32); /* in 2^-32 */
    if (turns + 0x40000000u > 0x80000000u) turns = 0x80000000u - turns; /* to the right half: a quarter turn either way */
    int32_t half = (int32_t)turns;
    const float u = (float)(number.bits >> 31 ? -half : half) * 9.31322575e-10f, square = u * u; /* 1 is a quarter turn */
    float p = square * 1.50820530e-4f - 4.67222785e-3f;
    p = p * square + 7.96884805e-2f;
    p = p * square - 6.45963360e-1f;
    p = p * square + 1.57079629f;
    return p * u;
}
