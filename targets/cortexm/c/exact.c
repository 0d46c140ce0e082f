/* A product and a sum stay two roundings whatever the compiler's flags, so that every core and host computes the same bits;
   and a loop stays a loop, where GCC would call memset or memcpy. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off", "no-tree-loop-distribute-patterns")
#endif
