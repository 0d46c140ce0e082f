/* Runs many inputs of an emitted network on the build machine: rows of numbers, or pictures. */
#include "model.h"

#ifdef PIXELS
enum { NUMBERS = 0, PLACES = MODEL_INPUTS };
#else
enum { NUMBERS = MODEL_INPUTS, PLACES = 0 };
#endif

void host_shape(int32_t shape[3]) {
    shape[0] = NUMBERS;
    shape[1] = PLACES;
    shape[2] = MODEL_OUTPUTS;
}

void host_run(int32_t rows, const float *numbers, const uint8_t *pixels, float *outputs) {
    static model_scratch scratch;
    for (int32_t r = 0; r < rows; r++) {
#ifdef PIXELS
        (void)numbers;
        model_run(pixels + r * PLACES, outputs + r * MODEL_OUTPUTS, &scratch);
#else
        (void)pixels;
        model_run(numbers + r * NUMBERS, outputs + r * MODEL_OUTPUTS, &scratch);
#endif
    }
}
