/* A number column, or a wave of one; NaN where it is missing, as an infinite day is: it has no phase. */
static float raw(const float *numbers, int32_t column) {
//:if waves
    if (column >= NUMBERS) {
        const int32_t wave = column - NUMBERS;
        float turns = wave_frequency[wave] * numbers[wave_column[wave]];
        turns += wave_phase[wave];
        const float angle = 6.28318531f * turns;
        return angle - angle == 0.0f ? sine(angle) : angle - angle;
    }
//:end
    return numbers[column];
}

static float filled(const float *numbers, int32_t column) {
    const float x = raw(numbers, column);
    return x == x ? x : median[column];
}

/* Deviations from the mean, at most five. */
static float standard(const float *numbers, int32_t column) {
    const float x = (filled(numbers, column) - center[column]) * scale[column];
    return x < -5.0f ? -5.0f : x > 5.0f ? 5.0f : x;
}
