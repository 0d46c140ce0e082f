//:heading
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

//:sizes

//:scratch

/* Runs the network on one input; returns the place of the largest output. Keeps nothing between calls, so several threads
   may call it, each with a scratch of its own. */
//:if pixels
int32_t model_run(const uint8_t *pixels, float *outputs, model_scratch *scratch);
//:else
int32_t model_run(const float *input, float *outputs, model_scratch *scratch);
//:end
//:if classes

//:include class_names.h
//:end

#ifdef __cplusplus
}
#endif

#endif
