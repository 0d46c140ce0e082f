"""Our own C for microcontrollers: a model as one .c and one .h, with no libc, no heap and every table in flash.

`emit_child` and `emit_network` write the C, `toolchain` compiles and measures it for a core, `qemu` runs it on one, and
`backend` offers all that to the compiler. The C that is the same for every model stands in ``c/``. Nothing here imports a
toolchain: each is looked for when it is used.
"""
