from common import *
from flax import nnx
class M(nnx.Module):
    def __init__(s,r): s.a=nnx.Linear(16,64,rngs=r); s.bn=nnx.BatchNorm(64,rngs=r); s.b=nnx.Linear(64,1,rngs=r)
    def __call__(s,x): return s.b(relu(s.bn(s.a(x))))
m=M(nnx.Rngs(0)); g,p,rest=nnx.split(m,nnx.Param,...)
f=lambda p,x: nnx.merge(g,p,rest)(x)
def t(n,fn):
    try: print(n,str(fn())[:500])
    except Exception as e: print(n,type(e).__name__,str(e)[:120])
t("plain jax.grad",lambda:float(jnp.abs(jax.tree.leaves(jax.jit(jax.grad(lambda p:mse(f(p,x),y)))(p))[0]).max()))
t("audit closure",lambda:winit.jax.audit(f,p,x,y,mse))
g,s=nnx.split(m); t("audit whole state",lambda:winit.jax.audit(lambda s,x:nnx.merge(g,s)(x),s,x,y,mse))
