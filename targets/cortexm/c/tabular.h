//:heading
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

//:sizes

//:scratch

/* Predicts one row. `categories` may be NULL where there are none, `numbers` likewise. Keeps nothing between calls, so
   several threads may call it, each with a scratch of its own.
//:if classes
   Writes a probability for each class; returns the place of the most probable. */
//:else
   Writes the value; returns 0. */
//:end
int32_t model_predict(const float *numbers, const int32_t *categories, float *outputs, model_scratch *scratch);
//:if classes

//:include class_names.h
//:end

#ifdef __cplusplus
}
#endif

#endif
