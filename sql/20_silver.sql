-- Typed, without repeated entries, without entries that say nothing. Where an id comes again in a later landing, the
-- later one counts; within a landing the choice follows from the values alone, so that equal input gives equal tables.

-- model: silver.coco_images
-- One row an image. What is missing or blank is NULL; an image without a split gets one from its id, ten in a hundred
-- for validation and ten for testing, and keeps it whatever is ingested later.
-- check: unique(image_id)
-- check: not_null(image_id, file_name, split)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: row_count(<= raw.coco_images)
-- check: sql(every image of raw is here)
--   SELECT DISTINCT id FROM raw.coco_images
--   WHERE id NOT IN (SELECT image_id FROM silver.coco_images)
-- check: sql(an image has a size or none is known)
--   SELECT image_id, width, height FROM silver.coco_images
--   WHERE width <= 0 OR height <= 0
WITH newest AS (
    SELECT * FROM raw.coco_images
    QUALIFY rank() OVER (PARTITION BY id ORDER BY landing DESC NULLS LAST) = 1
),
-- The files of a landing list an image again, each with what it knows: min takes a value that is known.
merged AS (
    SELECT
        id AS image_id,
        min(nullif(trim(image), '')) AS image_uri,
        min(file_name) AS file_name,
        min(width) FILTER (width > 0) AS width,
        min(height) FILTER (height > 0) AS height,
        min(split) AS split,
        min(license) AS license_id,
        min(try_cast(date_captured AS TIMESTAMP)) AS captured_at,
        min(nullif(trim(coco_url), '')) AS coco_url,
        min(nullif(trim(flickr_url), '')) AS flickr_url
    FROM newest
    GROUP BY id
)
SELECT
    image_id,
    image_uri,
    file_name,
    width,
    height,
    coalesce(split, CASE
        WHEN md5_number_lower(image_id::VARCHAR) % 100 < 80 THEN 'train'
        WHEN md5_number_lower(image_id::VARCHAR) % 100 < 90 THEN 'val'
        ELSE 'test'
    END) AS split,
    license_id,
    captured_at,
    coco_url,
    flickr_url
FROM merged
ORDER BY image_id
;

-- model: silver.coco_annotations
-- One box a row, on an image that can be opened (image_uri is never NULL), of a named category. Boxes without size
-- and boxes wholly outside of their image are left out; so is a box that an image has already under another id.
-- The split is the image's. bbox counts pixels from the upper left corner.
-- check: unique(annotation_id)
-- check: unique(image_id, category, bbox, is_crowd)
-- check: not_null(image_id, image_uri, category, bbox, area, is_crowd, split)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: row_count(<= raw.coco_annotations)
-- check: sql(a box has a size)
--   SELECT * FROM silver.coco_annotations
--   WHERE NOT (bbox.w > 0 AND bbox.h > 0)
-- check: sql(a box lies in its image)
--   SELECT boxes.*, images.width, images.height
--   FROM silver.coco_annotations boxes JOIN silver.coco_images images USING (image_id)
--   WHERE bbox.x + bbox.w <= 0 OR bbox.y + bbox.h <= 0 OR bbox.x >= images.width OR bbox.y >= images.height
-- check: sql(uri and split are those of the image)
--   SELECT boxes.*
--   FROM silver.coco_annotations boxes LEFT JOIN silver.coco_images images USING (image_id)
--   WHERE boxes.image_uri IS DISTINCT FROM images.image_uri OR boxes.split IS DISTINCT FROM images.split
WITH entries AS (
    SELECT id, image_id, category_id, bbox, area, iscrowd, num_keypoints
    FROM raw.coco_annotations
    QUALIFY id IS NULL OR row_number() OVER (
        PARTITION BY id
        ORDER BY landing DESC NULLS LAST, image_id, category_id, bbox, area, iscrowd, num_keypoints
    ) = 1
),
boxes AS (
    SELECT
        id AS annotation_id,
        image_id,
        category_id,
        {'x': bbox[1], 'y': bbox[2], 'w': bbox[3], 'h': bbox[4]} AS bbox,
        coalesce(area, bbox[3] * bbox[4]) AS area,
        coalesce(iscrowd, 0) <> 0 AS is_crowd,
        num_keypoints
    FROM entries
    WHERE len(bbox) = 4 AND bbox[3] > 0 AND bbox[4] > 0 AND len(list_filter(bbox, lambda n: NOT isfinite(n))) = 0
),
categories AS (
    SELECT id AS category_id, name AS category, supercategory
    FROM raw.coco_categories
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY landing DESC NULLS LAST, name, supercategory NULLS LAST) = 1
)
SELECT
    annotation_id,
    image_id,
    image_uri,
    category,
    supercategory,
    bbox,
    area,
    is_crowd,
    num_keypoints,
    split
FROM boxes
JOIN categories USING (category_id)
JOIN silver.coco_images images USING (image_id)
WHERE image_uri IS NOT NULL
    AND bbox.x + bbox.w > 0
    AND bbox.y + bbox.h > 0
    AND (width IS NULL OR bbox.x < width)
    AND (height IS NULL OR bbox.y < height)
QUALIFY row_number() OVER (
    PARTITION BY image_id, category, bbox, is_crowd
    ORDER BY annotation_id NULLS LAST, area, num_keypoints NULLS LAST, supercategory NULLS LAST
) = 1
ORDER BY image_id, annotation_id, category, bbox
;

-- model: silver.coco_captions
-- One sentence a row, without white space around it; an image has no sentence twice. Sentences from a results file
-- have no caption_id, and no image_uri while their image is not in the lake.
-- check: unique(caption_id)
-- check: unique(image_id, caption)
-- check: not_null(image_id, caption, split)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: row_count(<= raw.coco_captions)
-- check: sql(a caption says something)
--   SELECT * FROM silver.coco_captions
--   WHERE caption = '' OR caption <> trim(caption)
-- check: sql(uri is that of the image)
--   SELECT captions.*
--   FROM silver.coco_captions captions LEFT JOIN silver.coco_images images USING (image_id)
--   WHERE captions.image_uri IS DISTINCT FROM images.image_uri
WITH entries AS (
    SELECT id, image_id, split, regexp_replace(caption, '^[\s\p{Z}]+|[\s\p{Z}]+$', '', 'g') AS caption
    FROM raw.coco_captions
    QUALIFY id IS NULL OR row_number() OVER (
        PARTITION BY id
        ORDER BY landing DESC NULLS LAST, image_id, caption NULLS LAST, split NULLS LAST
    ) = 1
),
sentences AS (
    SELECT * FROM entries
    WHERE caption <> ''
    QUALIFY row_number() OVER (
        PARTITION BY image_id, caption
        ORDER BY id NULLS LAST, split NULLS LAST
    ) = 1
)
SELECT
    sentences.id AS caption_id,
    image_id,
    image_uri,
    sentences.caption,
    coalesce(images.split, sentences.split, CASE
        WHEN md5_number_lower(image_id::VARCHAR) % 100 < 80 THEN 'train'
        WHEN md5_number_lower(image_id::VARCHAR) % 100 < 90 THEN 'val'
        ELSE 'test'
    END) AS split
FROM sentences
LEFT JOIN silver.coco_images images USING (image_id)
ORDER BY image_id, caption_id, caption
;
