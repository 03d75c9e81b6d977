"""Small pictures of every kind that data sets hold -> images/*.{png,jpg,webp,bmp,tif}, images.json.

images.json: {file: {"width", "height", "pixels": rows of RGB as Pillow reads them: upright, over white, 8 bits, "tolerance"}}. Pillow keeps
16-bit grey but not 16-bit colour, and decodes JPEG by another library version: the tolerance allows for that.
"""

import json

from common import FOLDER
from PIL import Image, ImageOps

ORIENTATION = 0x0112


def stripes(width, height, mode="RGB"):
    """8 x 8 blocks of one colour each, so that lossy formats keep them."""
    colours = [(200, 30, 40), (20, 160, 60), (30, 50, 210), (220, 200, 30), (40, 200, 210), (120, 120, 120)]
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), colours[(x // 8 + 2 * (y // 8)) % len(colours)])
    return image.convert(mode)


def oriented(value):
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return exif


def with_alpha(image):
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def write_files(folder):
    folder.mkdir(parents=True, exist_ok=True)
    picture, small = stripes(24, 16), stripes(24, 16).resize((6, 4), Image.NEAREST)
    files = {}

    def save(name, image, **options):
        image.save(folder / name, **options)
        files[name] = 6 if name.endswith(".jpg") or "lossy" in name else 1

    save("rgb.png", small)
    save("grey.png", small.convert("L"))
    save("grey16.png", small.convert("I;16").point(lambda v: v * 200 + 77))
    save("grey_alpha.png", with_alpha(small).convert("LA"))
    save("palette.png", small.quantize(8))
    save("palette_transparent.png", small.quantize(8), transparency=2)
    save("rgb_transparent.png", small, transparency=(20, 160, 60))
    save("grey_transparent.png", small.convert("L"), transparency=small.convert("L").getpixel((0, 0)))
    save("rgba_oriented.png", with_alpha(small), exif=oriented(5))
    save("bits.png", small.convert("1"))
    save("rgb.bmp", small)
    save("lossless.webp", with_alpha(small), lossless=True, exact=True)
    save("oriented.webp", small, lossless=True, exif=oriented(8))
    first = with_alpha(small)
    save("animated.webp", first, save_all=True, append_images=[first.rotate(180)], duration=100, lossless=True, exact=True)
    save("animated_lossy.webp", picture, save_all=True, append_images=[picture.rotate(180)], duration=100, quality=95)
    part = Image.new("RGBA", (24, 16))
    part.paste(picture.resize((8, 8)), (10, 4))
    save("animated_part.webp", part, save_all=True, append_images=[part.rotate(180)], duration=100, lossless=True, exact=True)
    save("grey16.tif", small.convert("I;16").point(lambda v: v * 200 + 77))
    save("bits.tif", small.convert("1"), compression="group4")
    save("palette.tif", small.quantize(8), compression="packbits")
    save("rgba_oriented.tif", with_alpha(small), compression="tiff_lzw", tiffinfo={ORIENTATION: 6})
    save("lossy.tif", picture, compression="jpeg", quality=95)
    save("pages.tif", small, save_all=True, append_images=[small.rotate(180)], compression="tiff_adobe_deflate")
    save("big.tif", small, big_tiff=True)
    save("grey.jpg", picture.convert("L"), quality=95)
    save("progressive.jpg", picture, quality=95, subsampling=0, progressive=True)
    for value in range(1, 9):
        save(f"oriented{value}.jpg", picture, quality=95, subsampling=0, exif=oriented(value))
    return files


def read(path):
    image = Image.open(path)
    image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        image = image.point(lambda v: v / 257 + 0.5, "L")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def main():
    rows = {}
    for name, tolerance in write_files(FOLDER / "images").items():
        image = read(FOLDER / "images" / name)
        rows[name] = dict(width=image.width, height=image.height, tolerance=tolerance, pixels=list(image.tobytes()))
    (FOLDER / "images.json").write_text("{\n" + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in rows.items()) + "\n}\n")
    print(f"images: {len(rows)}")


if __name__ == "__main__":
    main()
