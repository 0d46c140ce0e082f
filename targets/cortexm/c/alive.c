/* The least firmware: tells a probe that the compiler, the start-up code and the emulator work together. */
#include "firmware.h"

int main(void) {
    say("alive");
    return 0;
}
