"""The layers that mappers are compared on."""

from hwsim.workload import Layer

POINTWISE = Layer(name="MobileNetV2 1x1 24->144", K=144, C=24, P=56, Q=56)
RESNET = Layer(name="ResNet-18 3x3 64->64", K=64, C=64, P=56, Q=56, R=3, S=3, pad_h=1, pad_w=1)
DEPTHWISE = Layer(name="MobileNetV2 depthwise 144", G=144, P=56, Q=56, R=3, S=3, pad_h=1, pad_w=1)
CONV2 = Layer(
    name="AlexNet CONV2, 2 groups", G=2, K=128, C=48, P=27, Q=27, R=5, S=5, pad_h=2, pad_w=2
)

# The best EDP (pJ x cycles) that any setting of ZigZag 3.9.1 was seen to find.
ZIGZAG_BEST_EDP = {POINTWISE: 8.976e12, RESNET: 5.288e14, DEPTHWISE: 1.635e13, CONV2: 2.276e15}

M45_POINTWISE = Layer(name="MobileNetV2 1x1 64->384", K=384, C=64, P=14, Q=14)
M45_CONV2 = Layer(
    name="AlexNet CONV2, one group", K=128, C=48, P=27, Q=27, R=5, S=5, pad_h=2, pad_w=2
)

# uJ by accelforge's own model: of its optimum, and of a mapping that Timeloop found.
M45_BEST_UJ = {M45_POINTWISE: 38.970, M45_CONV2: 537.52}
