-- What ingest delivers for the dataset "coco": the rows of the annotation files as they stand there, with repeated
-- entries, missing values and all. Nothing is made here; the checks say what the silver models rely on.

-- optional source: raw.coco_images
-- The `images` of all annotation files; an image stands here once for each file and landing that lists it.
-- check: not_null(id, file_name, landing)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: sql(an id means one file)
--   SELECT landing, id, list(DISTINCT file_name ORDER BY file_name) AS file_names
--   FROM raw.coco_images
--   GROUP BY landing, id
--   HAVING count(DISTINCT file_name) > 1

-- optional source: raw.coco_annotations
-- The drawn objects: box, outline, keypoints.
-- check: not_null(image_id, landing)
-- check: accepted_values(split, 'train', 'val', 'test')
-- check: accepted_values(iscrowd, 0, 1)
-- check: sql(every category is listed)
--   SELECT category_id, count(*) AS annotations
--   FROM raw.coco_annotations
--   WHERE category_id NOT IN (SELECT id FROM raw.coco_categories)
--   GROUP BY category_id

-- optional source: raw.coco_categories
-- What can be drawn.
-- check: not_null(id, name)
-- check: sql(a landing names a category once)
--   SELECT landing, id, list(DISTINCT name ORDER BY name) AS names
--   FROM raw.coco_categories
--   GROUP BY landing, id
--   HAVING count(DISTINCT name) > 1

-- optional source: raw.coco_captions
-- Sentences about images, written by people (with an id) or by programs (without).
-- check: not_null(image_id, landing)
-- check: accepted_values(split, 'train', 'val', 'test')
