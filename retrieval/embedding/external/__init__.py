"""Any encoder: the product's own file, an ONNX file, a network of torchvision or timm, a plug-in.

opening.py     open_encoder: what ``--encoder`` names
onnx_file.py   OnnxEncoder and its description beside the file
exporting.py   the product's own encoder as ONNX and as torch.export
pictures.py    PictureEncoder: a network of three-channel pictures
installed.py   encoders that other packages bring (entry points)
checked.py     what every encoder must keep to
"""
