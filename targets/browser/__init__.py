"""The browser as a target: an ONNX graph, an ES module that feeds it rows, texts or pictures, and Chromium to run both."""
