/* Cores with the DSP extension multiply two pairs of int16 at once, read as words; elsewhere plain C computes the same bits. */
#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(4)))
#else
#define ALIGNED
#endif
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__) && !defined(MODEL_PORTABLE)
#include <arm_acle.h>
#define MODEL_DSP
typedef uint32_t __attribute__((may_alias)) word;
#endif
