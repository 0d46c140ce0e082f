/* e^x for x <= 0: 2^whole times a polynomial of what is left; libm would differ from one library to the next. */
static float exponential(float x) {
    union {
        float value;
        int32_t bits;
    } power;
    const float turns = x * 1.44269504f;
    if (turns < -126.0f) return 0.0f;
    const int32_t whole = (int32_t)(turns - 0.5f);
    const float f = turns - (float)whole;
    float p = f * 1.53375768e-4f + 1.33998604e-3f;
    p = p * f + 9.61851953e-3f;
    p = p * f + 5.55032900e-2f;
    p = p * f + 2.40226466e-1f;
    p = p * f + 6.93147206e-1f;
    power.value = p * f + 1.0f;
    power.bits += whole * (1 << 23);
    return power.value;
}
