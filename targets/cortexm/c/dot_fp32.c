/* Sums of four outputs, whose weights on one input lie together. */
static inline void dot4(const float *x, const float *weight, int32_t inputs, const float *bias, float out[4]) {
    float sum0 = bias[0], sum1 = bias[1], sum2 = bias[2], sum3 = bias[3];
    for (const float *end = x + inputs; x != end; weight += 4) {
        const float value = *x++;
        sum0 += value * weight[0];
        sum1 += value * weight[1];
        sum2 += value * weight[2];
        sum3 += value * weight[3];
    }
    out[0] = sum0;
    out[1] = sum1;
    out[2] = sum2;
    out[3] = sum3;
}
