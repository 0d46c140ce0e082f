/* Runs many rows of an emitted table model on the build machine. */
#include "model.h"

void host_shape(int32_t shape[3]) {
    shape[0] = MODEL_NUMBERS;
    shape[1] = MODEL_CATEGORIES;
    shape[2] = MODEL_OUTPUTS;
}

void host_run(int32_t rows, const float *numbers, const int32_t *categories, float *outputs) {
    model_scratch scratch;
    for (int32_t r = 0; r < rows; r++)
        model_predict(numbers + r * MODEL_NUMBERS, categories + r * MODEL_CATEGORIES, outputs + r * MODEL_OUTPUTS, &scratch);
}
