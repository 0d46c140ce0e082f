/* The test firmware: reads rows from a file on the build machine, predicts each, writes the outputs back to the bit. */
#include "firmware.h"
#include "model.h"

#if defined PIXELS
enum { NUMBERS = 0, CATEGORIES = MODEL_INPUTS };
typedef uint8_t code;
#elif defined NETWORK
enum { NUMBERS = MODEL_INPUTS, CATEGORIES = 0 };
typedef int32_t code;
#else
enum { NUMBERS = MODEL_NUMBERS, CATEGORIES = MODEL_CATEGORIES };
typedef int32_t code;
#endif
enum { CODE_BYTES = (int)sizeof(code) * CATEGORIES };

static model_scratch scratch;
static float numbers[NUMBERS + 1], outputs[MODEL_OUTPUTS];
static code codes[CATEGORIES + 1];

static inline void predict(void) {
#if defined PIXELS
    model_run(codes, outputs, &scratch);
#elif defined NETWORK
    model_run(numbers, outputs, &scratch);
#else
    model_predict(numbers, codes, outputs, &scratch);
#endif
}

int main(void) {
    struct {
        uint32_t rows, repeats;
    } order;
    struct {
        uint32_t ticks, stack;
    } report = {0, 0};
    const uint32_t in = open_file("rows.bin", READ_BINARY), out = open_file("outputs.bin", WRITE_BINARY);
    if (read_file(in, &order, sizeof order) != sizeof order) stop(3);
    for (uint32_t r = 0; r < order.rows; r++) {
        if (NUMBERS > 0 && read_file(in, numbers, 4 * NUMBERS) != 4 * NUMBERS) stop(3);
        if (CATEGORIES > 0 && read_file(in, codes, CODE_BYTES) != CODE_BYTES) stop(3);
        if (r == 0) paint_stack();
        predict();
        if (r == 0) report.stack = stack_used();
        write_file(out, outputs, sizeof outputs);
        for (uint32_t i = 0; i < order.repeats; i++) {
            const uint32_t start = ticks();
            predict();
            report.ticks += ticks_since(start);
        }
    }
    close_file(out);
    const uint32_t file = open_file("report.bin", WRITE_BINARY);
    write_file(file, &report, sizeof report);
    close_file(file);
    return 0;
}
