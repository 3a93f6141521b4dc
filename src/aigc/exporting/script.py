"""load_onnx.py: the script beside the ONNX files that makes pictures of them, without this project."""

import json
from xml.sax.saxutils import escape

from aigc.labelling import producer
from aigc.model.card import Card
from aigc.model.contract import Method

NAME = "load_onnx.py"
MOST_NAMES = 20  # classes that the help lists

START = '''\
"""Pictures of this model, without the project that trained it: python load_onnx.py --n 16 --out pictures.png

It needs numpy, onnxruntime and pillow, and the .onnx files beside it.
"""
import argparse
import functools
import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, PngImagePlugin

parser = argparse.ArgumentParser(description=__doc__)
{arguments}
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", default="pictures.png")
asked = parser.parse_args()
rng = np.random.default_rng(asked.seed)
load = functools.cache(lambda name: onnxruntime.InferenceSession(
    Path(__file__).with_name(name + ".onnx"), providers=["CPUExecutionProvider"]))


def run(name, **inputs):
    wanted = [one.name for one in load(name).get_inputs()]
    return load(name).run(None, {{key: np.asarray(inputs[key]) for key in wanted}})[0]


{inputs}
{sampling}
'''
END = '''
pixels = ((images.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8).transpose(0, 2, 3, 1)
side = int(np.ceil(len(pixels) ** 0.5))
blank = np.full((-len(pixels) % side, *pixels.shape[1:]), 255, np.uint8)
table = np.concatenate([pixels, blank]).reshape(-1, side, *pixels.shape[1:]).transpose(0, 2, 1, 3, 4)
sheet = table.reshape(table.shape[0] * table.shape[1], -1, table.shape[4])
texts = PngImagePlugin.PngInfo()  # the labels of a picture that AI made: IPTC's, and GB 45438-2025's
texts.add_itxt("XML:com.adobe.xmp", (
{labels}).replace("PIXELS_SHA256", hashlib.sha256(sheet.tobytes()).hexdigest()))
Image.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet).save(asked.out, pnginfo=texts)
print(asked.out)
'''
# IPTC Photo Metadata Standard 2025.1; GB 45438-2025, appendix E, in XMP.
PACKET = """\
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
 e:AISystemUsed="aigc {method}"/>
<rdf:Description rdf:about="" xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"><TC260:AIGC>
{label}
</TC260:AIGC></rdf:Description></rdf:RDF></x:xmpmeta>"""
COUNT = 'parser.add_argument("--n", type=int, default=16, help="how many pictures")'
CLASS = """parser.add_argument("--class", dest="label", type=int{default}, choices=range({classes}),
                    help={help})"""
SOURCE = 'parser.add_argument("source", help="the picture to translate")'
LABELS = """\
labels = np.arange(count) % {classes} if asked.label is None else np.full(count, asked.label)"""
OPEN = """\
picture = Image.open(asked.source).convert("{mode}").resize(({size}, {size}))
source = np.asarray(picture, np.float32).reshape(1, {size}, {size}, -1).transpose(0, 3, 1, 2) / 127.5 - 1
label = asked.label
"""


def of_method(method: Method, card: Card, sampling: str) -> str:
    """The script. sampling: the method's own lines, see `model.exports.Exports`."""
    shape = method.shape
    names = ", ".join(f"{label} = {name}" for label, name in enumerate(card.classes[:MOST_NAMES]))
    if method.translates:
        arguments = [SOURCE, _choice(", default=0", shape.classes, f"to translate to: {names}")]
        inputs = OPEN.format(mode="L" if shape.channels == 1 else "RGB", size=shape.size)
    else:
        arguments = [COUNT]
        inputs = "count = asked.n\n"
        if method.conditional:
            arguments.append(_choice("", shape.classes, f"one class only: {names}"))
            inputs += LABELS.format(classes=shape.classes)
        else:
            inputs += "labels = None"
    start = START.format(arguments="\n".join(arguments), inputs=inputs.rstrip(), sampling=sampling.rstrip())
    lines = "".join(f"    {line!r}\n" for line in labels(card).splitlines(keepends=True))
    return start + END.replace("{labels}", lines)


def labels(card: Card) -> str:
    """The XMP packet of the pictures; PIXELS_SHA256 stands for the hash of the pixels."""
    label = {"Label": "1", "ContentProducer": producer(), "ProduceID": f"{card.sha256}.PIXELS_SHA256",
             "ReservedCode1": "", "ContentPropagator": "", "PropagateID": "", "ReservedCode2": ""}
    return PACKET.format(method=card.method, label=escape(json.dumps(label, ensure_ascii=False)))


def _choice(default: str, classes: int, text: str) -> str:
    # repr: a class may have any name, and none may become code.
    return CLASS.format(default=default, classes=classes, help=repr(text.replace("%", "%%")))
