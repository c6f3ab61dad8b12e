from common import *
import optax
def f(p,x):
    h=x@p['i']
    for l in p['l']: t=jax.nn.sigmoid(h@l['T']+l['b']); h=t*jnp.tanh(h@l['H'])+(1-t)*h
    return h@p['o']
p=dict(i=N(16,48),l=[dict(T=N(48,48),b=jnp.full(48,-30.),H=N(48,48)) for _ in range(10)],o=N(48,1,g=.1))
r=winit.jax.audit(f,p,x,y,mse); print(r.ok,[(q.name,q.verdict,q.effect) for q in r.rows][:4])
g=jax.grad(lambda p:mse(f(p,x),y))(p); print("max|grad| T,H",max(float(jnp.abs(l[k]).max()) for l in g['l'] for k in 'TH'),"i",float(jnp.abs(g['i']).max()))
for n,opt in dict(sgd=optax.sgd(.1),adam=optax.adam(1e-3)).items():
    q=p; s=opt.init(p)
    @jax.jit
    def step(q,s):
        l,g=jax.value_and_grad(lambda p:mse(f(p,x),y))(q); u,s=opt.update(g,s); return optax.apply_updates(q,u),s,l
    for _ in range(300): q,s,l=step(q,s)
    A=x@q['i']@q['o']
    print(n,"loss",float(l),"max|dT|,|dH|",max(float(jnp.abs(a[k]-b[k]).max()) for a,b in zip(p['l'],q['l']) for k in 'TH'),"distance to the linear model x@i@o",float(jnp.abs(f(q,x)-A).max()))
