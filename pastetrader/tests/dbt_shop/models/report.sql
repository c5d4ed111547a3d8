select count(*) as orders, max(price) as highest
from {{ ref("price_per_piece") }}
