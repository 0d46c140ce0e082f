//:if two
    outputs[1] = outputs[0]; /* the second class's score less the first's */
    outputs[0] = 0.0f;
//:end
//:if classes
    const int32_t best = largest(outputs, MODEL_OUTPUTS);
    softmax(outputs, MODEL_OUTPUTS);
    return best;
//:else
    return 0;
//:end
